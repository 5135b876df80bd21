"""What goes wrong: faults as data, the events real equipment would log, and nights composed of them."""
