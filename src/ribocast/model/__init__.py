"""A trained model: on disk, running, as an object."""
