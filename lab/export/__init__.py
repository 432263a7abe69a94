"""A recorded session in the formats of other programs: one module a format, each with `write(content, stem)`."""
