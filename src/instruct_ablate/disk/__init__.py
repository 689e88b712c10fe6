"""Files on disk: whole or not there, hashed, fenced, prepared once; and the curves that a fit writes."""
