import typer
app = typer.Typer()
@app.command()
def plan(): ...
@app.command()
def deploy(): ...
def main(): app()
