"""What each command does, imported when the command runs; ``netprobe.cli.commands`` declares its options."""
