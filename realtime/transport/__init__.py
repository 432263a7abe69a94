"""From the capture process to the analysis: the wire, who may connect, and where sockets lie."""
