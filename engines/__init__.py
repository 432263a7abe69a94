"""What a model is: taxonomy, networks, pre-processing, bundles and the runtimes that run them."""

import engines.common.telemetry_off  # noqa: F401 - must come before any runtime is imported
