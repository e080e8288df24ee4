"""A package with activations as they should be, each in a module of its own."""
