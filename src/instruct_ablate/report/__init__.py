"""Reports: tables, paired statistics, figures and a page, from records on disk."""
