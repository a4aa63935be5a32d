"""One file per probe kind: sans-IO where the protocol is ours, a short async function where it is not."""
