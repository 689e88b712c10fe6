"""Verifiable instructions of our own making: requests with rules that a program checks; not a published benchmark."""
