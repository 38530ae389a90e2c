from stages import speed

speed.prepare()
