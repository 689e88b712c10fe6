"""Instruction variants: a task's definition and examples, one field of them altered."""
