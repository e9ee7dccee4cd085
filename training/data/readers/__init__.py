"""Data sets behind one interface: :class:`siampolar_training.data.readers.base.Reader`."""
