"""Keras models and layers, and the objects `Teacher` and `Student`."""
