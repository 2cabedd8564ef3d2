"""What builds and checks the C++ sources; no part of the installed package."""
