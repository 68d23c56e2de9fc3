"""Published files of trained weights: where they are, and how they are fetched and checked."""
