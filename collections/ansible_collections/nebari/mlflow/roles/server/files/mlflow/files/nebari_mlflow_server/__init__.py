"""What stands in front of MLflow in the server's pod: files of the chart, mounted, no image of their own."""
