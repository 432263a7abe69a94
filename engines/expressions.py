"""Expression numbers: what two nets say of a face, as logits of seven expressions each, and nothing of whose it is."""

EXPRESSIONS = ("neutral", "joy", "sadness", "anger", "fear", "disgust", "surprise")  # in face-api's order
NUMBERS = 2 * len(EXPRESSIONS)  # face-api's, then fer's
