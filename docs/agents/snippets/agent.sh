pip install 'pulseboard[agent]'
export PULSEBOARD_API_KEY=pb_YOUR_KEY
pulseboard agent --url https://pulseboard.example.com
