"""The Lambda functions, a package each."""
