"""What a person may ask or order. The command line, the API and later the pages all come through here."""
