"""The networks, in torch. Importing this package needs the `train` extra; everything else in `engines` does not."""
