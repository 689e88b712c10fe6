"""The page: one HTML file with verdicts, tables, figures and a prediction browser."""
