"""What every command needs: options, run directories, files, devices, and errors."""
