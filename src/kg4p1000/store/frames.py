"""What a reader process and the service agree on (see `reader`)."""

#: In place of a frame's length: an error after bytes went out.
FAULT = 0xFFFFFFFF
#: What a process writes first, when it has opened its version.
READY = b"ready\n"
