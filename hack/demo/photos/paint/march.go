package main

import "math"

// dunes is a height field seen from above the sand, lit by a low sun.
func dunes(u, v float64) vec3 {
	eye := vec3{0, 3.1, 0}
	ray := vec3{u - 0.75, 0.34 - v, 1.30}.unit()
	sun := vec3{-0.90, 0.27, 0.22}.unit()
	sky := duneSky(ray, sun)
	t, hit := marchDunes(eye, ray)
	if !hit {
		return sky
	}
	p := eye.add(ray.mul(t))
	n := duneNormal(p.x, p.z, 0.004+0.0015*t)
	n = ripples(n, p, t)
	light := clamp(n.dot(sun)) * duneShadow(p, sun)
	sand := mix(hex(0xe8a45f), hex(0xf3c48a), fbm(p.x*0.7, p.z*0.7, 4))
	c := sand.times(hex(0xfff0d8).mul(1.18 * light).add(hex(0x7d6a9c).mul(0.36 + 0.20*n.y)))
	grain := 1 + 0.10*(hash(math.Floor(p.x*260), math.Floor(p.z*260))-0.5)*math.Exp(-t*0.25)
	return mix(c.mul(grain), duneSky(vec3{ray.x, 0.015, ray.z}.unit(), sun), 1-math.Exp(-math.Pow(t/46, 1.6)))
}

func duneSky(ray, sun vec3) vec3 {
	c := gradient(ray.y*2.2+0.02, stop{0, hex(0xf6c9a0)}, stop{0.22, hex(0xe9b3a6)}, stop{0.55, hex(0x8f9dc4)}, stop{1, hex(0x4a6ea8)})
	side := clamp(vec3{ray.x, 0, ray.z}.unit().dot(vec3{sun.x, 0, sun.z}.unit()))
	c = screen(c, hex(0xffcf8a).mul(0.55*side*side*side*math.Exp(-math.Abs(ray.y)*5)))
	wisp := fbm(ray.x/(ray.y+0.16)*1.1+7, 3.4/(ray.y+0.16), 5)
	return mix(c, hex(0xffe6d2), 0.42*smooth(0.52, 0.80, wisp)*smooth(0.02, 0.14, ray.y))
}

// duneHeight has long crests, gentle to windward and steep to leeward.
func duneHeight(x, z float64) float64 {
	wx := x + 3.0*(fbm(x*0.11+3, z*0.11, 2)-0.5)*2
	wz := z + 5.0*(fbm(x*0.09+9, z*0.09+4, 2)-0.5)*2
	big := crest((wx*0.62+wz*0.50)*0.135+0.32) * (0.25 + noise(x*0.07+2, z*0.07+7))
	small := crest((wx*0.5+wz*0.62)*0.36+0.4) * noise(x*0.11+5, z*0.11)
	return 2.05*big + 0.26*small + 0.4*noise(x*0.06, z*0.06+3)
}

// crest repeats with period 1: a slow rise, then a slip face.
func crest(t float64) float64 {
	t -= math.Floor(t)
	const top = 0.70
	if t < top {
		s := t / top
		return s * s * (1.9 - 0.9*s)
	}
	s := (1 - t) / (1 - top)
	return s * (0.75 + 0.25*s)
}

func marchDunes(eye, ray vec3) (float64, bool) {
	t := 0.3
	for range 520 {
		p := eye.add(ray.mul(t))
		gap := p.y - duneHeight(p.x, p.z)
		if gap < 0.0006*t {
			return t, true
		}
		if t > 110 || p.y > 6 {
			return 0, false
		}
		t += math.Max(gap*0.34, 0.0008*t)
	}
	return t, true
}

func duneNormal(x, z, d float64) vec3 {
	return vec3{duneHeight(x-d, z) - duneHeight(x+d, z), 2 * d, duneHeight(x, z-d) - duneHeight(x, z+d)}.unit()
}

// ripples tilts the surface the way wind combs sand; they fade with distance.
func ripples(n, p vec3, t float64) vec3 {
	bend := 0.75 * fbm(p.x*0.9, p.z*0.9, 3)
	phase := (p.x*0.9+p.z*0.45+bend)*30 + 3*noise(p.x*2, p.z*2)
	strength := 0.15 * math.Exp(-t*0.13) * smooth(0.55, 0.95, n.y)
	tilt := math.Cos(phase) * strength
	return vec3{n.x + tilt, n.y, n.z + tilt*0.5}.unit()
}

func duneShadow(p, sun vec3) float64 {
	light, t := 1.0, 0.06
	for range 48 {
		q := p.add(sun.mul(t))
		gap := q.y - duneHeight(q.x, q.z)
		light = math.Min(light, 0.5+18*gap/t)
		if light <= 0 || q.y > 5 {
			break
		}
		t += math.Max(0.06, gap*0.6)
	}
	return smooth(0, 1, light)
}

// seaAtDusk is a plane of water that mirrors the sky in its waves.
func seaAtDusk(u, v float64) vec3 {
	ray := vec3{u - 0.75, 0.46 - v, 1.15}.unit()
	sun := vec3{0.16, 0.052, 1}.unit()
	sky := duskSky(ray, sun)
	if ray.y >= 0 {
		return seaCape(sky, u, v)
	}
	t := 1.3 / -ray.y
	x, z := ray.x*t, ray.z*t
	n := waveNormal(x, z, t)
	mirrored := ray.reflect(n)
	mirrored.y = math.Abs(mirrored.y)
	fresnel := 0.03 + 0.97*math.Pow(1-clamp(-ray.dot(n)), 5)
	deep := mix(hex(0x0a2036), hex(0x17455c), clamp(n.z*-1.6+0.3))
	c := mix(deep, duskSky(mirrored.unit(), sun), clamp(fresnel*1.1))
	sparkle := math.Pow(clamp(mirrored.unit().dot(sun)), 260)
	c = screen(c, hex(0xffd08a).mul(0.9*sparkle))
	return mix(c, duskSky(vec3{ray.x, 0.004, ray.z}.unit(), sun), 0.75*(1-math.Exp(-math.Pow(t/150, 1.5))))
}

func duskSky(ray, sun vec3) vec3 {
	c := gradient(clamp(ray.y*2.1), stop{0, hex(0xffa45c)}, stop{0.10, hex(0xf27f63)}, stop{0.30, hex(0xa7608c)}, stop{0.62, hex(0x4b4a86)}, stop{1, hex(0x1c2a58)})
	near := clamp(ray.dot(sun))
	c = screen(c, hex(0xffc070).mul(0.60*math.Pow(near, 60)))
	c = screen(c, hex(0xff9a60).mul(0.30*math.Pow(near, 8)))
	flat := 1 / (ray.y + 0.11)
	cloud := fbm(ray.x*flat*0.9+2, flat*1.15+fbm(ray.x*flat*1.5, flat*2, 4), 6)
	cover := smooth(0.50, 0.72, cloud) * smooth(0.015, 0.10, ray.y)
	lit := mix(hex(0x5a3f6e), hex(0xff9d78), smooth(0.74, 0.52, cloud)*(0.35+0.65*math.Pow(near, 4)))
	c = mix(c, lit, 0.80*cover)
	return mix(c, hex(0xfff3d6), smooth(0.99952, 0.99966, near))
}

func waveHeight(x, z float64) float64 {
	h := 0.0
	for i := range 5 {
		k := math.Pow(1.85, float64(i))
		turn := 0.5*float64(i) - 0.9
		px, pz := x*math.Cos(turn)-z*math.Sin(turn), x*math.Sin(turn)+z*math.Cos(turn)
		h += (1 - math.Abs(2*noise(px*0.55*k, pz*1.05*k)-1)) * 0.115 / math.Pow(k, 1.12)
	}
	return h
}

func waveNormal(x, z, t float64) vec3 {
	d := 0.012 + 0.0022*t
	calm := 0.9 / (1 + 0.018*t)
	return vec3{(waveHeight(x-d, z) - waveHeight(x+d, z)) * calm, 2 * d, (waveHeight(x, z-d) - waveHeight(x, z+d)) * calm}.unit()
}

// seaCape sets a dark headland on the horizon.
func seaCape(c vec3, u, v float64) vec3 {
	top := 0.462 - 0.060*smooth(0.52, 0.0, u)*(0.55+ridged(u*3.2, 8, 6)) - 0.028*smooth(1.28, 1.5, u)*(0.5+fbm(u*6, 3, 5))
	if v < top {
		return c
	}
	return mix(hex(0x3a2a50), hex(0xb0606a), 0.30*smooth(0.40, 0.46, v)+0.25*smooth(0.2, 0.5, u))
}
