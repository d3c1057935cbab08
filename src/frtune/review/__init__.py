"""Which labels of a data set are probably wrong, and a page on which a person decides."""
