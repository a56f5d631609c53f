# Forwards to scripts/; see README.md.
all:
	scripts/build
demo test bench lint fuzz conformance:
	scripts/$@
install:
	scripts/build && meson install -C build
.PHONY: all demo test bench lint fuzz conformance install
