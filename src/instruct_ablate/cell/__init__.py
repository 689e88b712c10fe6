"""Cells: identity, record and runner of one point of a grid."""
