"""Where scores vary, and the error of a mean that comes of it."""
