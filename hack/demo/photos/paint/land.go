package main

import "math"

// mountainsInFog: ridges fading into a bright morning, the valleys full of
// mist.
func mountainsInFog(u, v float64) vec3 {
	c := gradient(v, stop{0, hex(0x7f9cb8)}, stop{0.22, hex(0xb5bfc8)}, stop{0.40, hex(0xf3d3b4)}, stop{0.55, hex(0xfbe6cf)})
	sun := math.Hypot(u-1.02, v-0.30)
	c = screen(c, hex(0xffe2b0).mul(0.75*math.Exp(-sun*sun*22)))
	c = mix(c, hex(0xfffaf0), 1-smooth(0.036, 0.040, sun))
	cloud := fbm(u*1.6+3, v*9+fbm(u*3, v*6, 3), 5)
	c = mix(c, hex(0xfff1e2), 0.55*smooth(0.50, 0.78, cloud)*smooth(0.5, 0.1, v))
	const layers = 7
	for i := range layers {
		c = fogRidge(c, u, v, float64(i)/(layers-1))
	}
	return c
}

// fogRidge paints one ridge over c; near runs from 0, the farthest, to 1.
func fogRidge(c vec3, u, v, near float64) vec3 {
	scale := 3.2 - 1.9*near
	top := 0.36 + 0.50*math.Pow(near, 1.25) - (0.17+0.05*near)*ridgeline(u*scale+near*31.7, near)
	if v < top {
		return c
	}
	rock := gradient(near, stop{0, hex(0xd9bfae)}, stop{0.35, hex(0x8c8f9f)}, stop{0.7, hex(0x3f556b)}, stop{1, hex(0x13212e)})
	shade := ridged(u*scale*3+v*4+near*9, v*9, 5)
	rock = mix(rock, rock.mul(0.72), shade*near)
	rock = mix(rock, hex(0xffdfbc), 0.22*(1-near)*math.Exp(-math.Abs(u-1.02)*2))
	mist := smooth(0.0, 0.20, v-top) * (0.55 + 0.75*fbm(u*2.4+near*13+fbm(u*3, v*8, 3), v*11, 5)) * (0.95 - 0.62*near)
	return mix(rock, mix(hex(0xf7e3d0), hex(0xb9c6d2), near), clamp(mist))
}

// ridgeline is a height in about 0 to 1; far ridges are smoother.
func ridgeline(x, near float64) float64 {
	return 0.62*ridged(x*1.3, near*40+2, 8) + 0.30*ridged(x*0.5+8, near*17+5, 3) + 0.25*fbm(x*2.2, near*3, 6)
}

// forest: rows of firs on slopes, each paler with distance.
func forest(u, v float64) vec3 {
	c := gradient(v, stop{0, hex(0xcfdcd3)}, stop{0.35, hex(0xe9ebd9)}, stop{0.7, hex(0xf4efd8)})
	light := math.Hypot(u-0.42, v+0.02)
	c = screen(c, hex(0xfff3c4).mul(0.7*math.Exp(-light*light*3.2)))
	const layers = 8
	for i := range layers {
		c = forestSlope(c, u, v, float64(i)/(layers-1), float64(i))
	}
	rays := noise(math.Atan2(u-0.42, v+0.25)*26, 1) * noise(math.Atan2(u-0.42, v+0.25)*61, 4)
	return screen(c, hex(0xfff0c0).mul(0.34*rays*smooth(1.0, 0.1, v)))
}

func forestSlope(c vec3, u, v, near, seed float64) vec3 {
	size := 0.030 + 0.17*math.Pow(near, 1.6)
	ground := forestGround(u, near, seed)
	if v < ground-size*1.5 {
		return c
	}
	leaf := gradient(near, stop{0, hex(0xc3d3c7)}, stop{0.3, hex(0x8fb0a0)}, stop{0.62, hex(0x3f6f62)}, stop{1, hex(0x0b2420)})
	if v > ground || inFir(u, v, near, seed, size) {
		depth := smooth(ground-size, ground+0.16, v)
		mist := depth * (0.25 + 0.95*fbm(u*2.6+seed*5, v*7, 5)) * (1 - 0.72*near)
		return mix(leaf, hex(0xe8ecda), clamp(mist))
	}
	return c
}

func forestGround(u, near, seed float64) float64 {
	lean := (hash(seed, 5) - 0.5) * 0.22
	return 0.34 + 0.70*math.Pow(near, 1.15) + lean*(u-0.75) - 0.16*(fbm(u*1.3+seed*7.7, seed, 4)-0.5)
}

// inFir says whether a point lies within one of the firs along a slope.
func inFir(u, v, near, seed, size float64) bool {
	spacing := size * 0.26
	cell := math.Floor(u / spacing)
	for d := -3.0; d <= 3; d++ {
		i := cell + d
		at := (i + 0.15 + 0.7*hash(i, seed*13)) * spacing
		tall := size * (0.55 + 0.85*hash(i, seed*7+3))
		base := forestGround(at, near, seed) + 0.01
		t := (v - base + tall) / tall
		if t < 0 || t > 1.1 {
			continue
		}
		whorls := 9 + math.Floor(6*hash(i, 2))
		sweep := math.Mod(t*whorls+0.4*math.Abs(u-at)/size, 1)
		ragged := 0.72 + 0.5*noise(u*900/math.Sqrt(size*30), v*420)
		reach := tall * 0.20 * (0.04 + t) * (0.50 + 0.62*sweep) * ragged
		if math.Abs(u-at) < math.Max(reach, tall*0.008) {
			return true
		}
	}
	return false
}
