"""The architecture of the UNet as data, without TensorFlow."""
