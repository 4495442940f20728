//! Runner of .wast scripts over any subject, with the official suite.
