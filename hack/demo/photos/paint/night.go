package main

import "math"

// aurora: green and violet curtains over a lake that doubles them.
func aurora(u, v float64) vec3 {
	const shore = 0.70
	if v < shore {
		return auroraSky(u, v)
	}
	depth := (v - shore) / (1 - shore)
	ripple := (fbm(u*5, 60*math.Sqrt(depth)+u*2, 4) - 0.5) * (0.012 + 0.09*depth)
	mirrored := auroraSky(u+ripple*0.35, shore-(v-shore)*1.25-math.Abs(ripple)-0.002)
	c := mix(mirrored.mul(0.72), hex(0x04101c), 0.20+0.35*depth)
	return screen(c, hex(0x5fe0b0).mul(0.10*math.Exp(-depth*16)))
}

func auroraSky(u, v float64) vec3 {
	c := gradient(v, stop{0, hex(0x050a1c)}, stop{0.4, hex(0x0b1a38)}, stop{0.72, hex(0x1d4a5c)})
	c = screen(c, starField(u, v, 90, 0.30))
	c = screen(c, starField(u+3, v, 42, 0.16).mul(1.3))
	for i := range 3 {
		c = screen(c, curtain(u, v, float64(i)))
	}
	far := 0.66 - 0.14*ridged(u*1.7+4, 2, 7)
	if v > far {
		snow := smooth(0.42, 0.62, ridged(u*7, (v-far)*9+u*3, 5)) * smooth(0.10, 0, v-far)
		c = mix(mix(hex(0x0d2233), hex(0x4f9a92), 0.45*snow), hex(0x2a6b70), 0.5*smooth(far, 0.71, v))
	}
	near := 0.705 - 0.10*smooth(0.45, 0, u)*(0.4+fbm(u*4, 9, 4)) - 0.07*smooth(1.15, 1.5, u)*(0.4+fbm(u*5, 3, 4))
	if v > near-0.01 && (v > near || inShoreTree(u, v, near)) {
		c = hex(0x030a10)
	}
	return c
}

func inShoreTree(u, v, ground float64) bool {
	return v > ground-0.02*noise(u*160, 1)*noise(u*55, 7)
}

// curtain is one folded band of light, bright at its lower edge and torn into
// rays above it.
func curtain(u, v, i float64) vec3 {
	fold := 0.09*math.Sin(u*3.1+i*2.2) + 0.22*(fbm(u*1.3+i*9, i*4+1, 2)-0.5) + 0.022*math.Sin(u*11+i)
	edge := 0.50 - 0.12*i + fold + (u-0.75)*0.10
	rise := edge - v
	rays := math.Pow(fbm(u*26+i*31+fold*22, v*0.9+i, 4), 1.4) * 1.7
	strength := smooth(0.05, 0.8, noise(u*1.9+i*5, i+0.5)*1.25) * (1 - 0.18*i)
	body := math.Exp(-math.Max(rise, 0)*(5.2-0.9*i)) * smooth(-0.030, 0.014, rise)
	tint := gradient(rise, stop{0, hex(0x66ffb0)}, stop{0.14, hex(0x27d694)}, stop{0.28, hex(0x3a6fd0)}, stop{0.46, hex(0x9a3fd0)})
	return tint.mul(clamp(body*rays*strength) * 0.95)
}

// starryNight: the Milky Way over a hill, with one window lit.
func starryNight(u, v float64) vec3 {
	c := gradient(v, stop{0, hex(0x070a1f)}, stop{0.5, hex(0x14204a)}, stop{0.78, hex(0x3d3f74)}, stop{0.92, hex(0xc2707a)})
	c = screen(c, galaxy(u, v))
	fade := smooth(0.88, 0.45, v)
	c = screen(c, starField(u, v, 150, 0.34).mul(fade*0.9))
	c = screen(c, starField(u+9, v, 70, 0.30).mul(fade*1.3))
	c = screen(c, brightStars(u, v).mul(fade))
	ranges := []struct{ top, rough, seed float64 }{{0.80, 0.12, 3}, {0.85, 0.10, 8}}
	for i, r := range ranges {
		top := r.top - r.rough*(ridged(u*1.4+r.seed, r.seed, 7)-0.25)
		if v > top {
			c = mix(hex(0x3a355f), hex(0x171a3a), float64(i))
			c = mix(c, hex(0x6b4a72), 0.55*smooth(top, top+0.13, v))
		}
	}
	return hill(c, u, v)
}

func galaxy(u, v float64) vec3 {
	along := (u-0.75)*0.62 - (v-0.42)*0.78
	across := (u-0.75)*0.78 + (v-0.42)*0.62 + 0.16*(fbm(u*2+4, v*2, 4)-0.5)
	band := math.Exp(-across * across * 26)
	core := math.Exp(-across*across*110) * math.Exp(-square(along+0.15)*3)
	cloud := fbm(u*4.2+fbm(u*5, v*5, 3)*1.3, v*4.2, 6)
	dust := smooth(0.42, 0.66, fbm(along*4+11, across*9+fbm(u*7, v*7, 4)*1.6, 6)) * math.Exp(-across*across*90)
	light := hex(0x5a6cc0).mul(band * cloud * 0.75).add(hex(0xf0a98e).mul(core * cloud * 1.05))
	light = light.add(hex(0xb45aa8).mul(0.30 * band * smooth(0.52, 0.8, cloud)))
	light = light.mul(1 - 0.80*dust)
	return light.add(starField(u+5, v, 260, 0.75*band).mul(0.75 * (1 - dust)))
}

// brightStars are the few with a glow and a cross of diffraction.
func brightStars(u, v float64) vec3 {
	var c vec3
	for i := range 14 {
		n := float64(i)
		x, y := hash(n, 101)*1.5, hash(n, 202)*0.62
		dx, dy := math.Abs(u-x), math.Abs(v-y)
		power := 0.35 + 0.65*hash(n, 303)
		glow := math.Exp(-(dx*dx+dy*dy)*9e4/power) + 0.22*math.Exp(-(dx*dx+dy*dy)*4e3/power)
		cross := math.Exp(-dx*1500-dy*110/power) + math.Exp(-dy*1500-dx*110/power)
		c = c.add(mix(hex(0xa9c8ff), hex(0xffd9b0), hash(n, 9)).mul((glow + 0.4*cross) * power))
	}
	return c
}

func hill(c vec3, u, v float64) vec3 {
	top := 0.955 - 0.125*math.Exp(-square((u-1.05)*2.1)) - 0.006*fbm(u*40, 2, 3) - 0.004*noise(u*420, 3)
	glow := math.Hypot(u-1.045, (v-0.812)*1.1)
	c = screen(c, hex(0xffb765).mul(0.26*math.Exp(-glow*26)))
	if v > top || inCabin(u, v) {
		lit := hex(0x352a35).mul(math.Exp(-glow*14) * 0.9)
		c = hex(0x070816).add(lit)
	}
	if math.Abs(u-1.045) < 0.0065 && math.Abs(v-0.812) < 0.0085 && math.Abs(u-1.045) > 0.0008 {
		c = hex(0xffd58a)
	}
	return c
}

func inCabin(u, v float64) bool {
	wall := math.Abs(u-1.055) < 0.034 && v > 0.795
	roof := v > 0.764+math.Abs(u-1.055)*0.78 && v < 0.800 && math.Abs(u-1.055) < 0.043
	chimney := math.Abs(u-1.075) < 0.0045 && v > 0.762
	return wall || roof || chimney
}
