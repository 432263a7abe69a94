"""A camera on another machine: its capture process connects over TCP, encrypted, and its clock is compared with ours.

Frames and states take the wire as from any capture process. Beside it is a control socket, one port further: there the
camera's machine gets its order, and there the clocks are compared, so that no frame holds up an
exchange.
"""
