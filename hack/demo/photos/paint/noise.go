package main

import "math"

// vec3 is a colour or a point in space.
type vec3 struct{ x, y, z float64 }

func (a vec3) add(b vec3) vec3     { return vec3{a.x + b.x, a.y + b.y, a.z + b.z} }
func (a vec3) sub(b vec3) vec3     { return vec3{a.x - b.x, a.y - b.y, a.z - b.z} }
func (a vec3) mul(k float64) vec3  { return vec3{a.x * k, a.y * k, a.z * k} }
func (a vec3) times(b vec3) vec3   { return vec3{a.x * b.x, a.y * b.y, a.z * b.z} }
func (a vec3) dot(b vec3) float64  { return a.x*b.x + a.y*b.y + a.z*b.z }
func (a vec3) unit() vec3          { return a.mul(1 / math.Sqrt(a.dot(a))) }
func (a vec3) clamp() vec3         { return vec3{clamp(a.x), clamp(a.y), clamp(a.z)} }
func (a vec3) reflect(n vec3) vec3 { return a.sub(n.mul(2 * a.dot(n))) }

// hex reads a colour as it is written in style sheets: hex(0xRRGGBB).
func hex(rgb int) vec3 {
	return vec3{float64(rgb>>16&255) / 255, float64(rgb>>8&255) / 255, float64(rgb&255) / 255}
}

func square(t float64) float64 { return t * t }

func clamp(t float64) float64 { return math.Min(1, math.Max(0, t)) }

func smooth(from, to, t float64) float64 {
	t = clamp((t - from) / (to - from))
	return t * t * (3 - 2*t)
}

func mix(a, b vec3, t float64) vec3 { return a.mul(1 - t).add(b.mul(t)) }

// screen brightens a by b without ever passing white.
func screen(a, b vec3) vec3 {
	return vec3{1 - (1-a.x)*(1-clamp(b.x)), 1 - (1-a.y)*(1-clamp(b.y)), 1 - (1-a.z)*(1-clamp(b.z))}
}

// stop is one colour of a gradient, at a position between 0 and 1.
type stop struct {
	at     float64
	colour vec3
}

func gradient(t float64, stops ...stop) vec3 {
	c := stops[0].colour
	for i := 1; i < len(stops); i++ {
		c = mix(c, stops[i].colour, smooth(stops[i-1].at, stops[i].at, t))
	}
	return c
}

// hash gives a repeatable number in [0,1) for whole x and y.
func hash(x, y float64) float64 {
	h := uint64(int64(x))*0x9E3779B97F4A7C15 ^ uint64(int64(y))*0xC2B2AE3D27D4EB4F
	h ^= h >> 31
	h *= 0xD6E8FEB86659FD93
	h ^= h >> 29
	h *= 0xD6E8FEB86659FD93
	h ^= h >> 32
	return float64(h>>11) / (1 << 53)
}

// noise is smooth value noise in [0,1).
func noise(x, y float64) float64 {
	ix, iy := math.Floor(x), math.Floor(y)
	fx, fy := x-ix, y-iy
	fx = fx * fx * fx * (fx*(fx*6-15) + 10)
	fy = fy * fy * fy * (fy*(fy*6-15) + 10)
	top := hash(ix, iy)*(1-fx) + hash(ix+1, iy)*fx
	bottom := hash(ix, iy+1)*(1-fx) + hash(ix+1, iy+1)*fx
	return top*(1-fy) + bottom*fy
}

// fbm sums octaves of noise, each turned and twice as fine; in [0,1).
func fbm(x, y float64, octaves int) float64 {
	sum, amplitude, total := 0.0, 0.5, 0.0
	for range octaves {
		sum += amplitude * noise(x, y)
		total += amplitude
		amplitude /= 2
		x, y = 1.6*x-1.2*y+17.3, 1.2*x+1.6*y+9.1
	}
	return sum / total
}

// ridged is fbm with sharp crests, as worn rock has them.
func ridged(x, y float64, octaves int) float64 {
	sum, amplitude, total, weight := 0.0, 0.5, 0.0, 1.0
	for range octaves {
		n := 1 - math.Abs(2*noise(x, y)-1)
		n *= n * weight
		weight = clamp(n * 1.8)
		sum += amplitude * n
		total += amplitude
		amplitude /= 2
		x, y = 1.6*x-1.2*y+5.7, 1.2*x+1.6*y+3.3
	}
	return sum / total
}

// starField is the light of the stars at a point; cells is their spacing.
func starField(u, v, cells, share float64) vec3 {
	x, y := math.Floor(u*cells), math.Floor(v*cells)
	if hash(x+11, y) > share {
		return vec3{}
	}
	dx := u*cells - x - 0.25 - 0.5*hash(x, y+37)
	dy := v*cells - y - 0.25 - 0.5*hash(x+53, y)
	brightness := math.Pow(hash(x+91, y+7), 5)
	radius := (0.0011 + 0.0009*brightness) * cells
	light := math.Exp(-(dx*dx+dy*dy)/(radius*radius)) * (0.18 + 0.95*brightness)
	return mix(hex(0xbfd4ff), hex(0xffe6c4), hash(x+3, y+3)).mul(light)
}
