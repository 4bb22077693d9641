"""Real images as tf.data, and conversions between uint8 and floating-point images."""
