"""Trained weights of other frameworks: readers (`formats/`), name tables (`tables/`), and the way into our networks.

`import_weights(path)` is the whole interface: the file is read by the reader that knows it by its content, paired with
a network of the zoo by a table, and converted; every tensor of both sides is accounted for.
"""
