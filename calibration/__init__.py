"""What turns a model's scores into numbers to act on, fitted on labelled windows and written into its card."""
