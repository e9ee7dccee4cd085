"""What tests share: test doubles, generated data, rigs that run nodes."""
