"""Letters, batches of sequences, what stands around a 5′ UTR, upstream ORFs."""
