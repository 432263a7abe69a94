"""Everything that is needed only to make weights: data sets, losses, metrics, training, evaluation."""
