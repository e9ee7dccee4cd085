"""Data sets behind one interface: :class:`siampolar_training.readers.base.Reader`."""
