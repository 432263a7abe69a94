"""What a network is, in plain data: a model card states it, `engines.networks` builds it. Needs no torch."""
