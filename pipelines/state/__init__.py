"""The mirror of the truth, and the lock that every writer of the warehouse takes. The truth itself is in the warehouse."""
