"""What a model is: taxonomy, networks, pre-processing, bundles and the runtimes that run them."""
