"""What is to be seen, as plain values: where peers are, how near one looks, which lines, colours and texts. Pure."""
