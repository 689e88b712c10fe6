"""The figures of a report: what is drawn, in which styles and for which paper."""
