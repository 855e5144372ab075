"""Numerical kernels behind the techniques: pure functions of tensors, in small memory, with their own derivatives."""
