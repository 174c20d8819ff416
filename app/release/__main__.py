from app.release.cli import main

main()
