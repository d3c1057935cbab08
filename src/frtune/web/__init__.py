"""What the local pages share: language, sign-in, start of the server, highlighted text."""
